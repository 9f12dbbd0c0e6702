# The .deb: `cpack -G DEB --config build/release/CPackConfig.cmake`. Only what carries the component's
# name goes in; whisper.cpp's own install rules do not.

set(docs share/doc/oavc)
install(TARGETS oavc RUNTIME DESTINATION bin COMPONENT oavc)
install(FILES config/dev.ini DESTINATION /etc/oavc RENAME oavc.ini COMPONENT oavc)
install(DIRECTORY config/dialogues DESTINATION /etc/oavc COMPONENT oavc)
install(FILES deploy/debian/oavc.default DESTINATION /etc/default RENAME oavc COMPONENT oavc)
install(FILES deploy/debian/oavc.service DESTINATION lib/systemd/system COMPONENT oavc)
install(
    FILES deploy/debian/oavc.sysusers DESTINATION lib/sysusers.d RENAME oavc.conf COMPONENT oavc
)
install(FILES deploy/debian/copyright README.md CHANGELOG.md DESTINATION ${docs} COMPONENT oavc)
install(DIRECTORY docs DESTINATION ${docs} COMPONENT oavc)
install(
    FILES config/twilio.ini config/gke.ini config/cloudrun.ini deploy/opensips/opensips.cfg
    DESTINATION ${docs}/examples
    COMPONENT oavc
)

set(CPACK_GENERATOR DEB)
set(CPACK_COMPONENTS_ALL oavc)
set(CPACK_COMPONENTS_GROUPING ALL_COMPONENTS_IN_ONE)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_PACKAGE_NAME oavc)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "answers telephone calls and lets the caller talk with an AI")
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION
    "Voice connector between OpenSIPS, SIP or Twilio and speech recognition, language\n models and speech synthesis: turns, interruptions, failover, call control."
)
set(CPACK_DEBIAN_PACKAGE_MAINTAINER "OpenSIPS AI Voice Connector developers <oavc@example.com>")
set(CPACK_DEBIAN_PACKAGE_SECTION comm)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS "ca-certificates, pocketsphinx-en-us")
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "espeak-ng")
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
file(WRITE ${CMAKE_BINARY_DIR}/debian/conffiles "/etc/default/oavc\n/etc/oavc/oavc.ini\n")
file(GLOB dialogues RELATIVE ${CMAKE_SOURCE_DIR}/config CONFIGURE_DEPENDS config/dialogues/*)
foreach(dialogue IN LISTS dialogues)
    file(APPEND ${CMAKE_BINARY_DIR}/debian/conffiles "/etc/oavc/${dialogue}\n")
endforeach()
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA
    ${CMAKE_SOURCE_DIR}/deploy/debian/postinst
    ${CMAKE_SOURCE_DIR}/deploy/debian/prerm
    ${CMAKE_SOURCE_DIR}/deploy/debian/postrm
    ${CMAKE_BINARY_DIR}/debian/conffiles
)
include(CPack)
